import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from bie.models.gaussian import Gaussian
from bie.models.noise import Noise


def draw(seed: int) -> Tensor:
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(seed))


def test_kl_is_torchs() -> None:
    mean, variance, prior_mean, prior_variance = draw(0), draw(1).exp(), draw(2), draw(3).exp()
    posterior = Normal(mean, variance.sqrt())
    standard = kl_divergence(posterior, Normal(0.0, 1.0)).sum(-1)
    torch.testing.assert_close(Gaussian(mean, variance).kl(), standard)
    general = kl_divergence(posterior, Normal(prior_mean, prior_variance.sqrt())).sum(-1)
    torch.testing.assert_close(Gaussian(mean, variance).kl(prior_mean, prior_variance), general)


def test_kl_to_itself_is_zero() -> None:
    mean, variance = draw(0), draw(1).exp()
    torch.testing.assert_close(Gaussian(mean, variance).kl(mean, variance), torch.zeros(8))


def test_samples_have_mean_and_variance() -> None:
    n = 200_000
    gaussian = Gaussian(torch.tensor([[1.0, -2.0]]).expand(n, 2), torch.tensor([[0.5, 4.0]]).expand(n, 2))
    z = gaussian.sample(Noise(torch.Generator().manual_seed(0)))
    torch.testing.assert_close(z.mean(0), torch.tensor([1.0, -2.0]), atol=0.02, rtol=0)
    torch.testing.assert_close(z.var(0), torch.tensor([0.5, 4.0]), atol=0.05, rtol=0)


def test_samples_carry_gradients() -> None:
    mean, variance = draw(0).requires_grad_(), draw(1).exp().requires_grad_()
    noise = Noise(torch.Generator().manual_seed(0)).normal((8, 3))
    sample = Gaussian(mean, variance).sample(Noise(torch.Generator().manual_seed(0)))
    by_mean, by_variance = torch.autograd.grad(sample.sum(), (mean, variance))
    torch.testing.assert_close(by_mean, torch.ones(8, 3))
    torch.testing.assert_close(by_variance, noise / (2 * variance.sqrt()))
