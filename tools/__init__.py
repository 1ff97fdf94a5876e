"""Commands under the names that OpenMMLab uses, and tools for developers."""
