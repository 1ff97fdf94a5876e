"""What is made of the measured step and workload."""

import pytest


@pytest.fixture
def run_and_step(part):
    """A run of 7200 images, and a step that takes 2 s for 8 of them."""
    run = part('workload').Workload(8, gpus=8, iterations=1, images=7200)
    return run, part('step').Step(1, 2, 2, batch_size=8, sites=0)


def test_on_a_gpu_hours_are_measured(part, run_and_step, monkeypatch):
    estimate = part('estimate')
    monkeypatch.setattr(estimate.torch.cuda, 'get_device_name', lambda: 'a GPU')
    settings = estimate.Settings(device='cuda')
    assert estimate.hours(*run_and_step, settings) == {'a GPU': 0.5}


def test_without_a_gpu_hours_are_the_work_over_the_rate(part, run_and_step):
    estimate, gpus = part('estimate'), part('gpus')
    found = estimate.hours(*run_and_step, estimate.Settings())
    assert found == {
        name: pytest.approx(7200 / gpu.sustained_tflops / 3600)
        for name, gpu in gpus.GPUS.items()
    }
    own = estimate.Settings(tflops=2.0)
    assert estimate.hours(*run_and_step, own) == {'2 TFLOPS': 1.0}
