"""Finds the chest in an image: the place that is most similar to a mean chest."""

import base64
from collections.abc import Iterable
from functools import lru_cache
from io import BytesIO

import numpy as np
import PIL.Image
from jaxtyping import Float, Float32

from cxrloc.errors import CxrlocError
from cxrloc.types import Affine


def search_side(size: int) -> int:
    """Side of the square in which a template of `size` is looked for: 256 for 224.

    Pham et al. 2019, section 4.2.

    >>> search_side(224)
    256
    """
    return round(size * 256 / 224)


def matched_crop(
    grey: Float[np.ndarray, "row col"], template: Float[np.ndarray, "size size"]
) -> Affine:
    """The shift of the image that puts the place most like the template at the origin.

    Pham et al. 2019, section 4.2: "a template matching algorithm" finds a template of 224 x 224 in
    the image of 256 x 256. Open: which algorithm; here it is normalised cross-correlation over all
    shifts by whole pixels, and of equal ones the first by rows.

    >>> chest = np.zeros((4, 5))
    >>> chest[1, 2], chest[2, 3] = 1.0, 1.0
    >>> matched_crop(chest, np.eye(2))
    Affine(xx=1.0, xy=0.0, x0=-2.0, yx=0.0, yy=1.0, y0=-1.0)
    """
    from skimage.feature import match_template  # here, since it loads slowly and few models need it

    likeness = match_template(grey, template)
    row, column = np.unravel_index(np.argmax(likeness), likeness.shape)
    return Affine(x0=-float(column), y0=-float(row))


def mean_template(greys: Iterable[Float[np.ndarray, "side side"]], size: int) -> str:
    """The mean of the images' middle squares, as text that travels with the weights.

    Open: the paper does not say what its template is.

    Args:
        greys: training images of `search_side(size)` pixels, in [0, 1].
        size: side of the template.

    Returns:
        A PNG of 8 bits, in base64.

    Raises:
        CxrlocError: there is no image.
    """
    total, count = np.zeros((size, size)), 0
    for grey in greys:
        start = (len(grey) - size) // 2
        total += grey[start : start + size, start : start + size]
        count += 1
    if count == 0:
        raise CxrlocError("a template is the mean of training images, and there is none")
    buffer = BytesIO()
    PIL.Image.fromarray(np.rint(255 * total / count).astype(np.uint8)).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


@lru_cache(maxsize=4)
def template_of(text: str) -> Float32[np.ndarray, "size size"]:
    """The template in the text that `mean_template` gave, in [0, 1].

    Raises:
        CxrlocError: the text is not a template.

    >>> template_of(mean_template([np.full((4, 4), 0.2)], size=2))
    array([[0.2, 0.2], [0.2, 0.2]], dtype=float32)
    """
    try:
        with PIL.Image.open(BytesIO(base64.b64decode(text, validate=True)), formats=["PNG"]) as png:
            return np.asarray(png.convert("L"), dtype=np.float32) / 255
    except (ValueError, OSError) as error:
        raise CxrlocError(
            "the preprocessing has no readable template: it is learned from the training images"
        ) from error
