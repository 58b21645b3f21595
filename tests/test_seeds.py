import numpy as np
import pytest
import torch

from bie.seeds import KEY_OF, SEEDS, Streams


def test_streams_repeat_and_are_independent_by_name_and_seed():
    draws = {
        (seed, name): Streams(seed).numpy(name).random(1000) for seed in (0, 1) for name in ("init", "noise")
    }
    assert np.array_equal(draws[0, "init"], Streams(0).numpy("init").random(1000))
    table = np.corrcoef(np.stack(list(draws.values())))
    assert np.abs(table - np.eye(4)).max() < 0.15


def test_torch_streams_leave_the_global_generator_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    a = torch.randn(5, generator=Streams(0).torch("init"))
    b = torch.randn(5, generator=Streams(0).torch("init"))
    assert torch.equal(a, b)
    assert torch.equal(before, torch.get_rng_state())


def test_known_values_so_that_no_upgrade_moves_them_unseen():
    assert Streams(0).integer("kmeans") == 1053323730
    assert Streams(2**32 - 1).integer("init") == 1191470821


@pytest.mark.parametrize("key", sorted(set(KEY_OF.values())))
def test_a_seed_of_its_own_moves_its_streams_and_no_other(key):
    names = [*KEY_OF, "probes", "control"]
    own, seven, zero = (
        {name: streams.integer(name) for name in names}
        for streams in (Streams(0, {key: 7}), Streams(7), Streams(0))
    )
    assert own == {name: seven[name] if KEY_OF.get(name) == key else zero[name] for name in names}


def test_every_seed_of_the_configuration_drives_something():
    assert {"split_seed", *KEY_OF.values()} == set(SEEDS)
