"""What every segmentation run shares: the default runtime, in mmseg's scope."""

_base_ = './default_runtime.py'

default_scope = 'mmseg'
default_hooks = dict(visualization=dict(type='SegVisualizationHook'))
visualizer = dict(type='SegLocalVisualizer')
tta_model = dict(type='SegTTAModel')
