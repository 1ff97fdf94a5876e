"""What every classification run shares: the default runtime, in mmpretrain's scope.

The checkpoint with the best top-1 so far is kept beside the last one.
"""

_base_ = './default_runtime.py'

default_scope = 'mmpretrain'
default_hooks = dict(
    checkpoint=dict(save_best='accuracy/top1', rule='greater'),
    visualization=dict(type='VisualizationHook', enable=False),
)
visualizer = dict(type='UniversalVisualizer')
