"""What may be published by rights code, the notices that go along, and what was taken down."""
