"""The small simulation that many tests share."""

SMALL = {
    "subjects": 2,
    "train_images": 40,
    "test_images": 12,
    "vertices": 60,
    "seed": 0,
    "photos": "builtin",
    "picture_size": 64,
}
