"""Public datasets: one file each turns a download's own table into a manifest.

A source defines ``summary``, ``citation``, ``licence``, ``folder`` (its folder below the data root), ``columns`` (what
it reads of the table there) and ``build(root) -> Manifest``, whose paths begin with the folder's name and whose
subject ids begin with the dataset's, so that sources can be joined.
"""
