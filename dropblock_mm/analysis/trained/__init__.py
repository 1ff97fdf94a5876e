"""Trained models of mmdet, mmseg and mmpretrain, to be looked at."""
