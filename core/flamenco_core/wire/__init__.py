"""What travels between the programs of a farm: typed records, and marshmallow schemas that read and write them."""
