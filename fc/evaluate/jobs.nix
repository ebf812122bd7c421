# Finds and describes the jobs of an expression. Each fact is printed with builtins.trace the moment it is known,
# one JSON object a line behind a token that the expression cannot know: whatever ends the process, what was found
# before stays found, and the first path without an answer is the one that ended it.
config:
let
  inherit (builtins)
    attrNames deepSeq filter foldl' functionArgs getContext hasAttr hasContext head intersectAttrs isAttrs isBool
    isFunction isInt isList isString length listToAttrs map removeAttrs replaceStrings seq stringLength substring toJSON
    trace tryEval unsafeDiscardStringContext;

  # The inputs, as the arguments of the expression.
  sourceOf = input: {
    inputType = "git";
    outPath = /. + input.path;
  } // (if input.revision == null then { } else { rev = input.revision; shortRev = substring 0 7 input.revision; });
  argumentOf = input:
    if input.type == "git" then sourceOf input
    else if input.type == "path" then { inputType = "path"; outPath = /. + input.path; }
    else if input.type == "build" then {
      inputType = "build";
      outPath = builtins.appendContext input.path { ${input.path} = { path = true; }; };
    }
    else if input.type == "boolean" then input.value == "true"
    else input.value;
  arguments = builtins.mapAttrs (_: argumentOf) config.inputs;

  # As Nix's autoCallFunction: a function whose arguments are named is called with those we have.
  call = value:
    let
      function = if isAttrs value then value.__functor value else value;
      wanted = functionArgs function;
      missing = filter (name: !wanted.${name} && !hasAttr name arguments) (attrNames wanted);
    in
    if (isAttrs value && value ? __functor && !isDerivation value || isFunction value) && wanted != { } then
      if missing != [ ] then
        throw "the function has an argument '${head missing}' that no input of the jobset gives a value"
      else call (function (intersectAttrs wanted arguments))
    else value;

  isDerivation = value: isAttrs value && value.type or null == "derivation";

  flakeRoot =
    let
      outputs = (builtins.getFlake config.root.flake).outputs;
      wanted = config.root.attributes;
      found = foldl' (value: name: value.${name}) outputs wanted;
      standard = intersectAttrs { checks = null; packages = null; } outputs;
    in
    if wanted != [ "hydraJobs" ] || outputs ? hydraJobs then found
    else if standard != { } then standard
    else throw "the flake has neither hydraJobs nor checks nor packages";

  fileRoot =
    let value = import (/. + config.root.file); in
    if isFunction value && functionArgs value == { } then value { } else value;

  root = call (if config.root ? flake then flakeRoot else fileRoot);
  lookup = foldl' (value: name: (call value).${name}) root;

  # A set of jobs is looked into unless it says not to be.
  isJobSet = value: isAttrs value && !isDerivation value && value.recurseForDerivations or true == true;
  namesOf = value: filter (name: name != "recurseForDerivations") (attrNames value);

  plain = text: unsafeDiscardStringContext "${text}";
  isStorePath = text: substring 0 (stringLength builtins.storeDir) text == builtins.storeDir;
  texts = value: map plain (filter isString (if isList value then value else [ value ]));
  attempt = value: fallback:
    let tried = tryEval (deepSeq value value); in if tried.success then tried.value else fallback;

  licenseName = license:
    if isAttrs license then license.spdxId or license.shortName or license.fullName or null else license;
  personName = person:
    if isAttrs person then person.github or person.email or person.name or null else person;
  asList = value: if isList value then value else [ value ];
  metaOf = meta:
    let
      chosen = {
        description = attempt (if isString (meta.description or null) then plain meta.description else null) null;
        homepage = attempt (texts (meta.homepage or [ ])) [ ];
        license = attempt (texts (map licenseName (asList (meta.license or [ ])))) [ ];
        maintainers = attempt (texts (map personName (asList (meta.maintainers or [ ])))) [ ];
        mainProgram = attempt (if isString (meta.mainProgram or null) then plain meta.mainProgram else null) null;
      };
      number = name: attempt (if isInt (meta.${name} or null) then meta.${name} else null) null;
      numbers = listToAttrs (map (name: { inherit name; value = number name; }) [
        "timeout" "maxSilent" "schedulingPriority"
      ]);
      all = chosen // numbers;
    in
    if !isAttrs meta then { }
    else removeAttrs all (filter (name: all.${name} == null || all.${name} == [ ]) (attrNames all));

  derivationsIn = text: filter (path: substring (stringLength path - 4) 4 path == ".drv") (attrNames (getContext text));
  constituentsOf = drv:
    let
      all = asList (drv.constituents or [ ]);
      strings = filter isString all;
    in
    if drv._hydraAggregate or false != true then { } else {
      constituents =
        map (part: plain part.drvPath) (filter isDerivation all)
        ++ builtins.concatLists (map derivationsIn (filter hasContext strings));
      namedConstituents = map plain (filter (text: !hasContext text) strings);
      aggregate = true;
    };

  jobFacts = drv: {
    drvPath = plain drv.drvPath;
    name = plain drv.name;
    system = plain drv.system;
    outputs = listToAttrs (map
      (name: {
        inherit name;
        # A floating output's path is a placeholder until it is built.
        value = let path = plain drv.${name}.outPath; in if isStorePath path then path else null;
      })
      (drv.outputs or [ "out" ]));
    meta = metaOf (drv.meta or { });
  } // constituentsOf drv;

  describe = path: value:
    let called = call value; in
    if isDerivation called then { kind = "job"; facts = jobFacts called; }
    else if isJobSet called then
      if length path >= config.depth then
        throw "this set of jobs is nested more than ${toString config.depth} levels deep; is it part of itself?"
      else { kind = "set"; facts = { names = namesOf called; }; inherit called; }
    else { kind = "skip"; facts = { }; };
  forced = description: seq description.kind (deepSeq description.facts description);

  say = kind: path: facts: trace (config.token + toJSON ({ inherit kind path; } // facts));
  visit = path: value:
    let
      description = forced (describe path value);
      tried = if config.tolerant then tryEval description else { success = true; value = description; };
      inherit (tried.value) kind facts called;
      deferred = kind == "set" && length facts.names > config.inline;
    in
    if !tried.success then say "thrown" path { } null
    else say kind path (facts // { inherit deferred; }) (
      if kind == "set" && !deferred then visitAll (map (name: { path = path ++ [ name ]; value = called.${name}; }) facts.names)
      else null);
  visitAll = foldl' (done: item: seq done (visit item.path item.value)) null;

  # For an evaluator that walks by itself: every function called, every set marked.
  marked = value:
    let called = call value; in
    if isJobSet called then
      builtins.mapAttrs (_: marked) (removeAttrs called [ "recurseForDerivations" ]) // { recurseForDerivations = true; }
    else if isDerivation called then called
    else { };
in
if config.walk then visitAll (map (path: { inherit path; value = lookup path; }) config.paths) else marked root
