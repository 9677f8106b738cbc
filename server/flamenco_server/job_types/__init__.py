"""The built-in job types; this folder is their registry: each module has a ``JOB_TYPE`` (``job_type.py``)."""
