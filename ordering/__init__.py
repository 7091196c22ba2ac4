"""A restaurant-ordering service: its rules and its store, which know no web framework.

`operations.OPERATIONS` lists what can be asked; a backend routes each request to one of them
through `api.Api`, and sends the answer.
"""
