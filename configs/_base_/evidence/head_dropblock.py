"""DropBlock in the head of the small segmentor, block 4 and keep_prob 0.9.

The paper's Table 4 has 0.2, which belongs to 500 epochs of a larger network.
"""

_base_ = '../dropblock/decode_head.py'

custom_hooks = _base_.custom_hooks
custom_hooks[0].block_size = 4
custom_hooks[1].keep_prob = 0.9
