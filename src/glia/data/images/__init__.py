"""Pictures: reading files and folders, decoding, and their preparation into tensors."""

from glia.data.images.decode import FORMATS, MOST_PIXELS, Picture, look_at, open_picture, to_pixels
from glia.data.images.folder import ImageFolder, read_image_folder
from glia.data.images.image_preparation import ImagePreparation, PreparedPictures
from glia.data.images.picture_table import PictureTable, PictureTablePreparation
from glia.data.images.rows import ImageRows, as_images

__all__ = [
    "FORMATS",
    "ImageFolder",
    "ImagePreparation",
    "ImageRows",
    "MOST_PIXELS",
    "Picture",
    "PictureTable",
    "PictureTablePreparation",
    "PreparedPictures",
    "as_images",
    "look_at",
    "open_picture",
    "read_image_folder",
    "to_pixels",
]
