"""The kinds of what can be wrong in a COCO annotation file."""

from __future__ import annotations

from dropblock_mm.data_checks.problems import error, warning

KEYS = {
    'images': ('id', 'file_name', 'width', 'height'),
    'annotations': ('id', 'image_id', 'category_id', 'bbox', 'area'),
    'categories': ('id', 'name'),
}
_UNREADABLE = 'The data set cannot be read so. Complete the file.'
INCOMPLETE = {
    part: error(f'{part} that lack one of {", ".join(keys)}', _UNREADABLE)
    for part, keys in KEYS.items()
}
NOT_A_BOX = error(
    'annotations whose bbox is not four finite numbers',
    'The data set cannot be read, or the loss becomes nan. Correct or remove them.',
)
SAME_ID = {
    part: error(
        f'ids that several {part} have',
        'One takes the place of the others. Give each its own id.',
    )
    for part in KEYS
}
SAME_NAME = error(
    'names that several categories have',
    'There would be more labels than classes. Merge or rename them.',
)
SAME_FILE = warning(
    'file names that several images have',
    'Each is seen with a part of its boxes only. Merge them.',
)
NO_CLASS_IN_COMMON = error(
    'data set whose categories all are no classes of the config',
    'All boxes would be left out. Set metainfo=dict(classes=(...)) in every data set '
    "of the config, and the model's num_classes.",
)
OTHER_ORDER = error(
    'classes that stand in another place than their category',
    'Labels are numbered by the order of categories in the file. Put the categories of '
    'all files in the order of metainfo.classes; their ids may stay.',
)
MISSING_IN_EVALUATION = error(
    'classes of the config that no category of the file has',
    'Evaluation ends with an IndexError at the first box of such a class. Add the '
    'categories to the file; they need no annotations.',
)
NO_SUCH_CATEGORY_IN_FILE = warning(
    'classes of the config that no category of the file has',
    'Nothing is learned of them here. Correct metainfo.classes if that is not meant.',
)
NOT_A_CLASS = warning(
    'categories of the file that are no class of the config',
    'Their boxes are left out. Add them to metainfo.classes if that is not meant.',
)
UNKNOWN_IMAGE = warning(
    'annotations of an image that the file does not list', 'They are left out.'
)
UNKNOWN_CATEGORY = warning(
    'annotations of a category that the file does not list', 'They are left out.'
)
OFF_BY_ONE = error(
    'files whose category ids are shifted by one against those of the annotations',
    'Objects would be learned as their neighbours, and those at the end left out. '
    'Number categories and annotations alike.',
)
NOTHING_LEFT = error(
    'files of which no object is left to learn',
    'Training would go on with background alone. Correct what they are left out for.',
)
LITTLE_LEFT = error(
    'files of which hardly an object is left to learn',
    'Nine of ten or more are left out or ignored. Correct what they are left out for, '
    'or take these objects out of the file.',
)
NOTHING_TO_FIND = error(
    'files of which no object is left to evaluate on',
    'Every AP would be -1. Correct what they are left out for.',
)
SMALL_IMAGES = warning(
    'images with objects that filter_cfg.min_size leaves out',
    'Nothing is learned of them.',
)
NO_AREA = warning(
    'boxes without an area, or thinner than a pixel', 'They are left out.'
)
OUTSIDE = warning('boxes outside their image', 'They are left out.')
STICKS_OUT = warning(
    'boxes that stick out of their image by more than a pixel',
    'Resize cuts them off at its border. Many of them suggest sizes that are wrong.',
)
IGNORED = warning('annotations marked to be ignored', 'They are left out.')
CROWD = warning(
    'crowd boxes',
    'They are no targets of training, and no misses in evaluation.',
)
ID_ZERO = warning(
    'annotations with the id 0',
    'pycocotools takes it for no match and counts a box that was found as a wrong '
    'one. Number them from 1.',
)
NO_INSTANCES = warning(
    'categories without instances', 'Nothing is learned of them here; their AP is nan.'
)
NO_ANNOTATIONS = warning(
    'images without annotations',
    'filter_cfg=dict(filter_empty_gt=True) leaves them out, otherwise they are '
    'background.',
)
