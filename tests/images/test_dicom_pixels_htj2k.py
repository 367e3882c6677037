"""HTJ2K streams of another encoder are decoded to the original pixels.

The dependencies include no encoder of HTJ2K, so these streams were made once by OpenJPH 0.26.3
(`imagecodecs.htj2k_encode`, resolution first) from `SOURCE`.
"""

import base64
from pathlib import Path

import numpy as np
import pytest
from pydicom import uid
from pydicom.encaps import encapsulate

from cxrloc.images.read import read_radiograph
from tests.images.dicom_files import dicom_header, write_dicom

Y, X = np.mgrid[0:24, 0:20]
SOURCE = X * (19 - X) * Y * (23 - Y)  # 0 to 11,880

LOSSLESS_8_BIT = """
/0//UQApQAAAAAAUAAAAGAAAAAAAAAAAAAAAFAAAABgAAAAAAAAAAAABBwEB/1AACAACAAAAAv9SAAwAAgABAAUEBEAB/1wA
EyBIUFBQUFBQUFBQUFBQSEhI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAVwAAf+TwCT+J3MAwBLAEsASgJ4B
B3QA/AEHdACcAQd0AMATQBPAEoCILAGLdACOHP4AYjQA2AEHdADAFVAFoQBUAAaGkInaA5hGtQCGYRBAdIg4/ABBC82Q+rgA
UveaAJmhtQDAFuwBbkAWkAQmDzNRapIlWbUiGEGIQWJILQCnGe/wLhHOjLsAAOTgjiKqDu4GMCCxo+T4GMsGZ0gKPOrUfuK7
AKABLpRsAP4AZ4GvZ5S8/p+7AMAvQYBdzALaAOBVFERFBCFvBAoEACCMbBQIAipgEOMnCBBVlRCmQhEBAKBd/gEy8CzoFq08
71q+WnnevXwp0lQKqkjmPOdfvAEoAAAAAFARAAQAAAAADdzCIUTCJDTCDxZYQACghAUCGJIf+9evrnh+vXhIbXzCr+/Xrzk/
fmNjwALiSDBBPMMKMiFR9yfz7qqbe83f1J78s5XEAf/Z
"""
LOSSLESS_16_BIT = """
/0//UQApQAAAAAAUAAAAGAAAAAAAAAAAAAAAFAAAABgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUEBEAB/1wA
EyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAqMAAf+TwAAmSdAFB3QAwAATQAAT
QAATAMD9A4d0AO7uBAd0AEb9A4d0AMAAFRAABUQAATCKGYTlBIt0APiZYPwBAjQAzOcEB3QAwAAV8AAFrQAAVoBO4QS0waec
GSz8A5nGtQBOcQod7YimmT1Fc6zMAOELzGQA+rkA/v1j0tR/Z/oJmQK1AMAAF20AAF2UAAF04BLkSCBHghwJclrhqaSXQXoZ
pEeGpEeGgsIgkVwyySWTHJRBclCGip/b/gDhq/wjnG8QgBa8ABIS8vLSpMmSZWQkQYJ8+dKkyZJl1KgEZIN8bJW0tLusPLZR
4vsmfICi7r0MHxBAMr0A7r27u09MuPfu4eHhMTHhseWx5bHlsTUR8P0AZmCAY3/guMH6Mb0AwAAvpiAAF9JwAAvQAAAFoAAK
oAAKoAAKoACgIoL8MMyYTAwTw8QwMUwME8PEBDOClWZ4AngCeAJ4AngCeAJ4AngCeCCIeMgSBH4I/Aj8CPwI/Aj8CPwI/AjB
D6GSHGBacBqYBqaBaWAamAamgQMtRH8u40F4EB6EB+FBeBAehAfhAQSB2NIAPABoevX6y87uu7s8dQINAx46teutZcoTkELk
Fr8BAEAQeDyHA4PRaCgUgwGCmgYABIHHczgwGI2GQjEYYLBGAwAEgcdzODAYjYZCMRhgsEYDAASBx3M4MBiNhkIxGGCwRgMA
BIHHczgwGI2GQjEYYLBGA0AFRLSHhzJxoq+wqDktGo+KQjOig2Cogga29AAKAAAEEAAAUR69ecSPXrziR69ecSPXrziQhQAA
GMCIsrMCAAAAjAEAAMAYAAAAjAEAAMAYAAAAjAEWWGCBBRZYYIEFYMUIiwAAkAAAIIAAAx5wA1OAGpwA1OAGgBYqVK27Af/Z
"""
LOSSY_16_BIT = """
/0//UQApQAAAAAAUAAAAGAAAAAAAAAAAAAAAFAAAABgAAAAAAAAAAAABDwEB/1AACAACAAAAJf9SAAwAAgABAAUEBEAA/1wA
IyKPdI9Fj0WPF4dch1yHPX+qf6p/wmg1aDVoeGAaYBpvv/9kABcAAU9wZW5KUEggVmVyIDAuMjYuMy7/kAAKAAAAAAE0AAH/
k8AAJgnYBQd0AMAAJoAATQAAmAL5Awd0ALT9Awd0AIL+Agd0AMAATwABPAAEwFKGsgMLdACsJYMAwjQAeP4CB3QAwACrgAFp
wACqYqhqkoCR9jiDlABgWDoiSF1vMrv8AIELzAEA+rkAArlmLf4BmeG1AMAC6CABb0ACuA5QoNCjFBImCCis5HvQJQAmktjq
AKfmn/8hxi1k+JwAzAsYYREMKBSR8RFp0+gxSfQAEH4xgU3QAF9JqH0AHB62QP5wEPySPtG6aQDABdTABdLAAqAgUyTSjrSU
QLRg7gEiajCDvscU9GYuirBPb807Jd4r+RT+JT8AFQtwASBBZjWrMClzSF0qpdZSCU1VFtMf7AAKYQgU6YQAU/UNrWrqMgFH
8O/xZPcmAP/Z
"""


@pytest.mark.parametrize(
    ("syntax", "stream", "stored", "levels"),
    [
        (uid.HTJ2KLossless, LOSSLESS_8_BIT, (SOURCE // 47).astype("u1"), 0),
        (uid.HTJ2KLosslessRPCL, LOSSLESS_16_BIT, SOURCE.astype("u2"), 0),
        (uid.HTJ2K, LOSSY_16_BIT, SOURCE.astype("u2"), 33),  # a step of 0.0005 x 65,535
    ],
)
def test_an_htj2k_stream_of_another_encoder_has_the_source_pixels(
    tmp_path: Path, syntax: uid.UID, stream: str, stored: np.ndarray, levels: int
) -> None:
    bits = 8 * stored.itemsize
    window = {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits}
    header = dicom_header(stored, bits, **window)
    header.file_meta.TransferSyntaxUID = syntax
    header.PixelData = encapsulate([base64.b64decode(stream)])
    header["PixelData"].VR = "OB"
    header.save_as(tmp_path / "coded", enforce_file_format=True)
    plain = read_radiograph(write_dicom(tmp_path / "plain", stored, bits, **window))
    coded = read_radiograph(tmp_path / "coded")
    assert np.abs(plain.pixels - coded.pixels).max() * (2**bits - 1) <= levels
