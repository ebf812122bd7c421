# The jobs of the project greeting. Attributes are jobs; each is a derivation.
{ system ? builtins.currentSystem }:
let
  build = import ./build.nix { inherit system; };
in
rec {
  hello = build {
    name = "hello";
    script = ''
      echo "warming up"
      sleep 1
      mkdir $out
      echo "Hello, world" > $out/hello.txt
    '';
    attributes.preferLocalBuild = true;
  };

  # Uses what hello made.
  shout = build {
    name = "shout";
    script = ''
      mkdir $out
      tr a-z A-Z < ${hello}/hello.txt | tee $out/shout.txt
    '';
  };

  # A page to download from the build, and a metric.
  report = build {
    name = "report";
    script = ''
      mkdir -p $out/nix-support
      for section in greeting manners farewell; do echo "writing $section"; sleep 1; done
      echo "<!doctype html><title>Report</title><p>$(cat ${shout}/shout.txt)" > $out/index.html
      echo "doc report $out/index.html" > $out/nix-support/hydra-build-products
      echo "sections 3" > $out/nix-support/hydra-metrics
    '';
  };

  # Fails on purpose.
  broken = build {
    name = "broken";
    script = ''
      echo "about to fail"
      sleep 1
      echo "error: this job fails on purpose" >&2
      exit 3
    '';
  };

  # Needs what can never be made.
  after-broken = build {
    name = "after-broken";
    script = "cat ${broken} > $out";
  };

  # Cannot even be evaluated.
  unwritten = throw "this job has not been written yet";
}
