"""Priority and fairness: whose request is served when there is more to do than can be done."""
