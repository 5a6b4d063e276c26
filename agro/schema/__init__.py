"""What things are: records, table contracts, configuration, errors, provenance.

The one package that every other may import; it imports nothing of :mod:`agro`.
"""
