"""Figures of a study, one kind in a file: functions of frames that return a matplotlib figure."""
