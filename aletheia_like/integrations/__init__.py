"""Ways into other programs; each module needs the package that it is for, once it is used."""
