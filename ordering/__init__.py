"""A restaurant-ordering service: its rules and its store, which know no web framework.

`api.Api` has one method for each operation; a backend routes a request to it and sends the answer.
"""
