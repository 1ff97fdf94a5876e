"""DropBlock in the last two stages of CSPDarknet, the backbone of YOLOX.

What: the paper's rule for a ResNet, block 7, keep_prob from 1 to 0.9 linearly over
training, with a quarter of gamma in the last stage but one, after every norm and on the
skip connections (sections 3 and 4.1.1). Untried: the paper has no values for this
network, and nobody has trained it with these.

How, on any config with a CSPDarknet called ``backbone``, such as YOLOX::

    python tools/train.py CONFIG --dropblock csp_darknet

or in a config of yours, as one of several ``_base_`` (see README.md here).
"""

_base_ = './cspnext.py'  # whose stages have the same names
