"""The workspace: artefact paths, validated tables, atomic writes."""
