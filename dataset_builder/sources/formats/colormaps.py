"""Colour-mapped infrared -> the grey levels it was made from, by a declared colormap: the nearest of its 256 colours.

A camera's own palette (ironbow, rainbow, lava) differs from maker to maker: give its colours as a file.
"""

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from dataset_builder.images.decoding import DecodeError, open_image
from dataset_builder.images.png import encode_png
from fusionrs_hf.bounded_files import read_text
from fusionrs_hf.errors import InputError, nearest, shown
from fusionrs_hf.processing_fusionrs_images import BROKEN, FORMATS

LEVELS = 256
APART, ALIKE = 8, 4.0  # entries further apart than 8 must differ by 4 grey levels, or the order of levels is lost
CHUNK = 1 << 14  # colours compared at a time
MAX_PIXELS = 1 << 40  # Pillow's own limit holds: the recipe's is asked when rows are decoded

# The CC0 maps of https://bids.github.io/colormap: 256 x 3 levels rounded down, then 768 bits that are 1 where rounding
# to the nearest is one level higher. Drawing programs do either.
TABLES = {
    "inferno": (
        "AAADAAAEAAAGAQAHAQEJAQELAgEOAgIQAwISBAMUBAMWBQQYBgQbBwUdCAYfCQYhCgcjCwcmDQgoDggqDwktEAkvEgoyEwo0FAs2Fgs5Fws7"
        "GQs+GgtAHAxDHQxFHwxHIAxKIgtMJAtOJgtQJwtSKQtUKwpWLQpYLgpaMApcMgldNAlfNQlgNwlhOQliOwlkPAllPglmQAlmQQlnQwpoRQpp"
        "RgppSAtqSgtqSwxrTQxrTw1sUA1sUg5sUw5tVQ9tVw9tWBBtWhFtWxFuXRJuXxJuYBNuYhRuYxRuZRVuZhVuaBZuahduaxdubRhubhhucBlu"
        "chltcxptdRttdhtteBxtehxtex1sfR1sfh5sgB9rgR9rgyBrhSBqhiFqiCFqiSJpiyJpjSNpjiRokCRokSVnkyVnlSZmliZmmCdlmShkmyhk"
        "nCljniljoCpioSthoythpCxgpixfpy1fqS5eqy5drC9crjBbrzFbsTFasjJZtDNYtTNXtzRWuDVWujZVuzdUvTdTvjhSvzlRwTpQwjtPxDxO"
        "xT1Nxz5MyD5LyT9Ky0BJzEFIzUJHz0RG0EVE0UZD0kdC1EhB1UlA1ko/10s+2U092k4720863FA53VI43lM331Q24FY04lcz41gy5Fox5Vsw"
        "5lwu5l4t518s6GEr6WIq6mQo62Un7Gcm7Wgl7Woj7mwi720h8G8f8HAe8XId8nQc8nUa83cZ83kY9HoW9XwV9X4U9oAS9oER94MQ94UO+IcN"
        "+IgM+IoL+YwJ+Y4I+ZAI+pEH+pMG+pUG+pcG+5kG+5sG+50G+54H+6AH+6II+6QK+6YL+6gN+6oO+6wQ+64S+7AU+7EW+7MY+7Ua+7cc+7ke"
        "+rsh+r0j+r8l+sEo+cMq+cUs+ccv+Mkx+Ms0+M03988699E89tM/9tVC9ddF9dlI9NtL9NxP895S8+BW8+JZ8uRd8uZg8ehk8elo8ets8e1w"
        "8e508fB58fJ98vOB8vSF8/aJ9PeN9fiR9vqV9/uZ+fyd+v2g/P6kNzvUw90nuLnGo64hmbpbsatIgfg8cYxwdOCgw0GGjpwVcPjquFVRxquN"
        "UeD5ip7gi2EECyWBtL2Bfk1LCd81YVqPQ6nUPVKxMT0AO/1lsmyb2a3Fohppq+eN7LUfLZoK"
    ),
    "magma": (
        "AAADAAAEAAAGAQAHAQEJAQELAgINAgIPAwMRBAMTBAQVBQQXBgUZBwUbCAYdCQcfCgciCwgkDAkmDQooDgoqDwssEAwvEQwxEg0zFA01FQ44"
        "Fg46Fw88GA8/GhBBGxBEHBBGHhBJHxFLIBFNIhFQIxFSJRFVJhFXKBFZKhFcKxFeLRBgLxBiMBBlMhBnNBBoNQ9qNw9sOQ9uOw9vPA9xPg9y"
        "QA9zQg90Qw91RQ92Rw93SBB4ShB5SxB5TRF6TxF7UBJ7UhJ8UxN8VRN9VxR9WBV+WhV+WxZ+XRd+Xhd/YBh/YRh/Yxl/ZRqAZhqAaBuAaRyA"
        "axyAbB2Abh6Bbx6BcR+Bcx+BdCCBdiGBdyGBeSKBeiKBfCOBfiSBfySBgSWBgiWBhCaBhSaBhyeBiSiBiiiBjCmAjSmAjyqAkSqAkiuAlCuA"
        "lSyAlyx/mS1/mi1/nC5/ni5+ny9+oS9+ozB+pDB9pjF9pzF9qTJ8qzN8rDN7rjR7sDR7sTV6szV6tTZ5tjZ5uDd4uTd4uzh3vTl3vjl2wDp1"
        "wjp1wzt0xTx0xjxzyD1yyj5yyz5xzT9wzkBw0EFv0UJu00Jt1ENt1kRs10Vr2UZq2kdp3Ehp3Ulo3kpn4Etm4Uxm4k1l5E5k5VBj5lFi51Ji"
        "6FRh6lVg61Zg7Fhf7Vlf7lte7l1d715d8GBd8WFc8mNc82Vc82db9Ghb9Wpb9Wxb9m5b9nBb93Fb93Nc+HVc+Hdc+Xlc+Xtd+X1d+n9e+oBe"
        "+oJf+4Rg+4Zg+4hh+4pi/Ixj/I5j/JBk/JJl/JNm/ZVn/Zdo/Zlp/Ztq/Z1r/Z9s/aFu/aJv/aRw/qZx/qhz/qp0/qx1/q52/q94/rF5/rN7"
        "/rV8/rd9/rl//ruA/ryC/r6D/sCF/sKG/sSI/saJ/seL/smN/suO/c2Q/c+S/dGT/dKV/dSX/daY/dia/dqc/dyd/d2f/d+h/eGj/OOl/OWm"
        "/Oao/Oiq/Oqs/Oyu/O6w/PCx/PGz/PO1/PW3+/e5+/m7+/q9+/y/NzmGLvLZSBdmrDuM6lHXoreh+BkJrcHqqucVOP4zro0WGPJ4w0GPrinO"
        "DqHG44VRx3HK4zGcFeVNEr2R+rRQvnQrdNeXIoeT0BN7bNs3aBKaRBTRBacl28BaUv2ALbk2"
    ),
    "plasma": (
        "DAeGEAeHEwaJFQaKGAaLGwaMHQaNHwWOIQWPIwWQJQWRJwWSKQWTKwWULQSULwSVMQSWMwSXNASYNgSYOASZOgSaOwOaPQObPwOcQAOcQgOd"
        "RAOeRQOeRwKfSQKfSgKgTAKhTgKhTwKiUQGiUgGjVAGjVgGjVwGkWQGkWgClXAClXgClXwCmYQCmYgCmZACnZQCnZwCnaACnagCnbACobQCo"
        "bwCocACocgCocwCodQCodgGoeAGoeQGoewKofAKnfgOnfwOngQSnggSnhAWmhQamhgemiAeliQiliwmkjAqkjgykjw2jkA6jkg+ikxChlRGh"
        "lhKglxOgmRSfmhWemxeenRidnhmcnxqboBubohyaox2ZpB6YpR+XpyGXqCKWqSOVqiSUrCWTrSaSrieRryiQsCqPsSuPsiyOtC2NtS6Mti+L"
        "tzCKuDKJuTOIujSHuzWGvDaFvTeEvjiDvzmCwDuBwTyAwj2Awz5/xD9+xUB9xkF8x0J7yER6yUV5ykZ4y0d3zEh2zUl1zkp1z0t00E1z0U5y"
        "0U9x0lBw01Fv1FJu1VNt1lVt11Zs11dr2Fhq2Vlp2lpo21tn3F1m3F5m3V9l3mBk32Fj32Ji4GRh4WVg4mZg42df42he5Gpd5Wtc5Wxb5m1a"
        "525a6HBZ6HFY6XJX6nNW6nRV63ZU7HdU7HhT7XlS7XtR7nxQ731P735O8IBN8IFN8YJM8oRL8oVK84ZJ84dI9IlH9IpH9YtG9Y1F9o5E9o9D"
        "9pFC95JB95NB+JVA+JY/+Jg++Zk9+Zo8+pw7+p06+p86+qA5+6I4+6M3+6Q2/KY1/Kc1/Kk0/Koz/Kwy/K0x/a8x/bAw/bIv/bMu/bUt/bYt"
        "/bgs/bkr/bsr/bwq/b4p/cAp/cEo/cMo/cQn/cYm/Mcm/Mkm/Msl/Mwl/M4l+9Ak+9Ek+9Mk+tUk+tYk+tgk+dkk+dsk+N0k+N8k9+Ak9+Il"
        "9uQl9uUl9ecm9ekm9Oom8+wm8+4m8vAm8vEm8fMm8PUl8PYj7/gh5WpP/kk7alI/XoufBj3MObxohpEEWUGHPGMjz4MNDycBsT/AkbfsiSQl"
        "v/9sm20traQE/7Ak7ZkS9oWhvQgfIylfMQr5yi9eGj5cwvKGvCDOnmsYR+qF4mGVPEeH5rUe"
    ),
    "viridis": (
        "RAFURAJVRANXRQVYRQZaRQhbRglcRgteRgxfRg5hRw9iRxFjRxJlRxRmRxVnRxZpRxhqSBlrSBpsSBxuSB1vSB5wSCBxSCFySCJzSCN0RyV1"
        "RyZ2Ryd3Ryh4Ryp5Ryt6Ryx7Ri18Ri98RjB9RjF+RTJ/RTR/RTWARTaBRDeBRDmCQzqDQzuDQzyEQj2EQj6FQkCFQUGGQUKGQEOHQESHP0WH"
        "P0eIPkiIPkmJPUqJPUuJPUyJPE2KPE6KO1CKO1GKOlKLOlOLOVSLOVWLOFaLOFeMN1iMN1mMNlqMNluMNVyMNV2MNF6NNF+NM2CNM2GNMmKN"
        "MmONMWSNMWWNMWaNMGeNMGiNL2mNL2qNLmuOLmyOLm2OLW6OLW+OLHCOLHGOLHKOK3OOK3SOKnWOKnaOKneOKXiOKXmOKHqOKHqOKHuOJ3yO"
        "J32OJ36OJn+OJoCOJoGOJYKOJYONJISNJIWNJIaNI4eNI4iNI4mNIomNIoqNIouNIYyNIY2MIY6MII+MIJCMIJGMH5KMH5OLH5SLH5WLH5aL"
        "HpeKHpiKHpmKHpmKHpqJHpuJHpyJHp2IHp6IHp+IHqCHH6GHH6KGH6OGIKSFIKWFIaaFIaeEIqeEI6iDI6mCJKqCJauBJqyBJ62AKK5/Ka9/"
        "KrB+K7F9LLF9LrJ8L7N7MLR6MrV6M7Z5Nbd4Nrh3OLl2Obl2O7p1Pbt0PrxzQL1yQr5xRL5wRb9vR8BuScFtS8JsTcJrT8NpUcRoU8VnVcZm"
        "V8ZlWcdkW8hiXslhYMlgYspfZMtdZ8xcacxba81Zbc5YcM5Wcs9VdNBUd9BSedFRfNJPftJOgdNMg9NLhtRJiNVHi9VGjdZEkNZDktdBldc/"
        "l9g+mtg8ndk6n9k4oto3pdo1p9szqtsyrdwwr9wust0std0rt90put4nvd4mv98kwt8ixd8hx+AfyuAezeAdz+Ec0uEb1OEa1+IZ2uIY3OIY"
        "3+MY4eMY5OMY5+QZ6eQZ7OQa7uUb8eUc8+Ue9uYf+OYh+uYi/eckBx1Y8ZV+jYCBbt/KWpWpXMq6MOfFE7ypgpqy77yyz7ffeSywEEAgmWSy"
        "UNppOSzfylIFszS+3BhgqXzRINyfUNOSgC2k39u1K1CsfjhxyqqjmPDqHKxVKrUWjw3HdOI5"
    ),
}
Points = tuple[tuple[float, float], ...]


def _lines(red: Points, green: Points, blue: Points) -> Callable[[np.ndarray], np.ndarray]:
    channels = [tuple(zip(*points)) for points in (red, green, blue)]
    return lambda x: np.stack([np.interp(x, *channel) for channel in channels], 1)


# Maps that are formulas of the level x, 0 to 1, as matplotlib has them. Another program's jet is another map.
FORMULAS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "jet": _lines(
        ((0, 0), (0.35, 0), (0.66, 1), (0.89, 1), (1, 0.5)),
        ((0, 0), (0.125, 0), (0.375, 1), (0.64, 1), (0.91, 0), (1, 0)),
        ((0, 0.5), (0.11, 1), (0.34, 1), (0.65, 0), (1, 0)),
    ),
    "hot": _lines(
        ((0, 0.0416), (0.365079, 1), (1, 1)),
        ((0, 0), (0.365079, 0), (0.746032, 1), (1, 1)),
        ((0, 0), (0.746032, 0), (1, 1)),
    ),
    "gnuplot": lambda x: np.stack([np.sqrt(x), x**3, np.sin(2 * np.pi * x).clip(0)], 1),
}
NAMES = (*TABLES, *FORMULAS)


def colormap_tables(colormap: str, base: Path = Path()) -> np.ndarray:
    """Returns the forms that a colormap may have.

    Args:
        colormap: One of `NAMES`, or a file with 256 colours from the lowest level to the highest: lines of red, green
            and blue (0 to 255, with commas or blanks between them), or an image one pixel high or wide.
        base: Folder that the name of a file starts from.

    Returns:
        uint8 `(forms, 256, 3)`.

    Raises:
        InputError: There is no such colormap or file, it does not hold 256 colours, or different levels look alike.
    """
    if colormap in TABLES:
        data = np.frombuffer(base64.b64decode(TABLES[colormap]), np.uint8)
        low = data[: LEVELS * 3].reshape(LEVELS, 3)
        return np.stack([low, low + np.unpackbits(data[LEVELS * 3 :]).reshape(LEVELS, 3)])
    if colormap in FORMULAS:
        values = FORMULAS[colormap](np.linspace(0, 1, LEVELS)) * 255
        return np.stack([values, np.rint(values)]).astype(np.uint8)
    path = base / colormap
    if not path.is_file():
        raise InputError(
            f"there is no colormap {shown(colormap)}; {nearest(colormap, NAMES)}; or give a file with its 256 "
            f"colours, as "
            "palettes of cameras (ironbow and the like) differ"
        )
    table = _read_table(path)
    distance = np.sqrt(_squared(table.astype(np.float32), table.astype(np.float32)))
    apart = np.abs(np.subtract.outer(np.arange(LEVELS), np.arange(LEVELS))) > APART
    if (distance[apart] < ALIKE).any():
        first, second = np.argwhere(apart & (distance < ALIKE))[0].tolist()
        raise InputError(f"levels {first} and {second} of colormap {path} have the same colour: it cannot be undone")
    return table[None]


def _read_table(path: Path) -> np.ndarray:
    try:
        try:
            with Image.open(path, formats=FORMATS) as image:
                values = np.asarray(image.convert("RGB")).reshape(-1, 3)
        except Image.UnidentifiedImageError:
            text = read_text(path).replace(",", " ")
            values = np.array([line.split() for line in text.splitlines() if line.strip()], np.float64)
    except BROKEN as error:
        raise InputError(f"colormap {path} cannot be read ({error}); give 256 lines of red, green and blue") from error
    if values.shape != (LEVELS, 3) or values.min() < 0 or values.max() > 255 or (values % 1).any():
        raise InputError(
            f"colormap {path} holds {' x '.join(map(str, values.shape))} values; give 256 lines of red, green and "
            "blue, whole numbers of 0 to 255, or an image of 256 pixels"
        )
    return values.astype(np.uint8)


def _squared(colours: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Squared distances of float32 colours `(n, 3)` to `(256, 3)`: whole numbers below 2^24, so they are exact."""
    return (colours**2).sum(1)[:, None] + (table**2).sum(1) - 2 * colours @ table.T


def invert(rgb: np.ndarray, tables: np.ndarray) -> tuple[np.ndarray, float]:
    """Finds for each pixel the level whose colour is nearest, in the form of the colormap that fits the image best.

    Exact where the pixels are colours of the map, as in lossless files; of levels with one colour, the lowest.

    Args:
        rgb: uint8 `(height, width, 3)`.
        tables: Of `colormap_tables`.

    Returns:
        Levels, uint8 `(height, width)`, and the residual: mean distance of a pixel's colour to that of its level, in
        grey levels (Euclidean, 0 to 442).
    """
    packed = rgb.reshape(-1, 3).astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    codes, where, counts = np.unique(packed, return_inverse=True, return_counts=True)
    colours = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], 1).astype(np.float32)
    best = (np.zeros(0, np.uint8), np.inf)
    for table in tables.astype(np.float32):
        levels, distances = np.empty(len(colours), np.uint8), np.empty(len(colours))
        for start in range(0, len(colours), CHUNK):
            squared = _squared(colours[start : start + CHUNK], table)
            levels[start : start + CHUNK] = squared.argmin(1)
            distances[start : start + CHUNK] = np.sqrt(squared.min(1))
        residual = float((distances * counts).sum() / packed.size)
        best = min(best, (levels, residual), key=lambda form: form[1])
    return best[0][where].reshape(rgb.shape[:2]), best[1]


def undo_colormap(data: bytes | None, tables: np.ndarray, max_residual: float) -> tuple[bytes | None, str | None]:
    """Turns an encoded colour-mapped image into single-channel PNG.

    Args:
        data: An image file.
        tables: Of `colormap_tables`.
        max_residual: Largest residual (see `invert`) of an image that was made with this colormap.

    Returns:
        The PNG and None; or the bytes as they came and the reason: `colormap_mismatch` (also where the image has one
        channel, or is not all opaque), or why it cannot be decoded.
    """
    try:
        image = open_image(data, MAX_PIXELS)
    except DecodeError as error:
        return data, error.args[0]
    if image.mode in ("RGBA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        if image.getextrema()[3][0] < 255:
            return data, "colormap_mismatch"
    elif image.mode not in ("RGB", "P"):
        return data, "colormap_mismatch"
    levels, residual = invert(np.asarray(image.convert("RGB")), tables)
    return (encode_png(levels), None) if residual <= max_residual else (data, "colormap_mismatch")
