"""Protocols and producers between the two sides: glue around the decisions of other rooms."""
