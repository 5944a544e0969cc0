"""Running a batch on a cluster, by Ray."""
