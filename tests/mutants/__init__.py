"""Small faults, put one at a time into the packages: which of them do the tests notice?"""
