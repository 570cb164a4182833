from fusionrs_hf import bounds


def test_every_bound_is_in_the_table_once_and_nothing_else():
    constants = {name for name, value in vars(bounds).items() if name.isupper() and isinstance(value, int)} - {"MEGA"}
    names = [bound.name for bound in bounds.BOUNDS]
    assert sorted(names) == sorted(constants)
    assert all(bound.value == getattr(bounds, bound.name) > 0 for bound in bounds.BOUNDS)


def test_what_a_row_holds_fits_into_a_row():
    assert 2 * bounds.IMAGE_BYTES <= bounds.ROW_BYTES and bounds.TEXT_BYTES <= bounds.LINE_BYTES


def test_the_printed_table_has_a_line_for_each_bound():
    assert len(bounds.table().splitlines()) == 2 + len(bounds.BOUNDS)
