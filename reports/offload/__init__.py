"""Questions about offloading and their answers: one system, several beside one another, the best placement, a page of all."""
