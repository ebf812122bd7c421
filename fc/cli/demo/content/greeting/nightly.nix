# A second jobset of the project greeting, added to the configuration while FC runs.
{ system ? builtins.currentSystem }:
let
  build = import ./build.nix { inherit system; };
in
{
  almanac = build {
    name = "almanac";
    script = ''
      for month in January February March; do echo "counting the nights of $month"; sleep 1; done
      echo "31 28 31" > $out
    '';
  };
}
