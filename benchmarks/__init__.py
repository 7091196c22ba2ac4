"""What lbproxy costs: `micro` measures one function, `macro` the whole proxy beside its peers."""
