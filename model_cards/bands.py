"""What infrared bands are called where a reader meets them: one spelling for all cards and reports.

Captions have words of their own: they are data, and stay as they were written.
"""

BAND_NAMES = {  # in the order of the record's `ir_band`
    "nir": "near infrared",
    "swir": "shortwave infrared",
    "mwir": "midwave infrared",
    "lwir": "thermal infrared",
    "unspecified": "infrared of unspecified band",
}
