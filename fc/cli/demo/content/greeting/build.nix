# A derivation without nixpkgs: the builder is the sandbox's shell.
{ system }:
{ name, script, attributes ? { } }:
derivation ({
  inherit name system;
  builder = "/bin/sh";
  args = [ "-e" "-c" script ];
} // attributes)
