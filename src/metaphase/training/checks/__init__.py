"""What the doctor looks at: labels and split, patches, network, run. One module a subject."""
