"""The path for CUDA and ROCm: kernels in Triton."""
