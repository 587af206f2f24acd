"""Where artifacts are kept: one interface (`store`), a folder of this machine (`files`) or a bucket (`s3`), and packs of members."""
