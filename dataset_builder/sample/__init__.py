"""The shipped sample: real tiles, what they were cut from (`scenes.yaml`), and the script that cuts them."""
