{
  description = "Four tools and a bundle of them";

  outputs = { self }:
    let
      system = "@system@";
      tool = name: seconds: attributes: derivation ({
        inherit name system;
        builder = "/bin/sh";
        args = [ "-e" "-c" ''
          for step in 1 2 3; do
            echo "${name}: step $step of 3"
            sleep ${seconds}
          done
          mkdir $out
          echo ${name} > $out/${name}
        '' ];
      } // attributes);
      # Only the remote builder has this feature.
      remote = { requiredSystemFeatures = [ "workshop" ]; };
    in
    {
      hydraJobs = rec {
        saw = tool "saw" "0.5" remote;
        plane = tool "plane" "0.7" remote;
        hammer = tool "hammer" "0.3" { };
        ruler = tool "ruler" "0.3" { preferLocalBuild = true; };
        bundle = derivation {
          name = "bundle";
          inherit system;
          builder = "/bin/sh";
          args = [ "-e" "-c" "mkdir $out; for tool in $tools; do cp $tool/* $out; done; ls -l $out" ];
          tools = [ saw plane hammer ruler ];
        };
      };
    };
}
