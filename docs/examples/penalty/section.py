class Coral(PenaltySection):
    """The CORAL penalty; see `bie.penalties.coral`."""
