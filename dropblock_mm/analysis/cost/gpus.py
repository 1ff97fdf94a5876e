"""What GPUs sustain, taken from published training runs of ResNet-50.

A share of the peak would be a guess. Instead: NVIDIA published how many images a second
its ResNet-50 trains with on one GPU (NVIDIA/DeepLearningExamples, container 21.03,
PyTorch/Classification/ConvNets/resnet50v1.5/README); times the operations of such a
step, counted as for any other model here, that is the rate which a convolutional
network got.
"""

from __future__ import annotations

from dataclasses import dataclass

# Forward and backward of ResNet-50 on one image of 224x224, in 1e12 floating-point
# operations; a multiplication and an addition are two. A test counts them again.
RESNET50_TFLOP = 0.02430


@dataclass(frozen=True)
class Gpu:
    """A GPU at one precision.

    Args:
        peak_tflops: From its data sheet, dense, in 1e12 operations a second.
        resnet50: Images a second in training ResNet-50 on one GPU, as published.
    """

    peak_tflops: float
    resnet50: float

    @property
    def sustained_tflops(self) -> float:
        """What the published run sustained, in 1e12 operations a second."""
        return self.resnet50 * RESNET50_TFLOP

    @property
    def utilisation(self) -> float:
        """The share of the peak that this is."""
        return self.sustained_tflops / self.peak_tflops


# On an A100 torch runs convolutions of fp32 models in TF32 unless told otherwise.
GPUS = {
    'V100-fp32': Gpu(peak_tflops=15.7, resnet50=367),
    'V100-amp': Gpu(peak_tflops=125.0, resnet50=1200),
    'A100-tf32': Gpu(peak_tflops=156.0, resnet50=938),
    'A100-amp': Gpu(peak_tflops=312.0, resnet50=2470),
}


def gpu_hours(tflop: float, tflops: float) -> float:
    """Turn work into time.

    Args:
        tflop: Work, in 1e12 operations.
        tflops: Rate, in 1e12 operations a second.
    """
    return tflop / tflops / 3600
