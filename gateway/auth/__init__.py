"""Who somebody is (``tokens``) and what they may do (``access``)."""
