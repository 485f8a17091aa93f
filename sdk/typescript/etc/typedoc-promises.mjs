/**
 * Shows the methods of `Limitr` like those of `SyncLimitr` that they are made from. Editors look through the mapped
 * type between the two, to the comments and names of arguments; typedoc does not.
 */
import { Converter, ParameterReflection, ReflectionFlag, ReflectionKind } from 'typedoc';

export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    const twin = project.getChildByName('SyncLimitr');
    const signatures = project.getChildByName('Limitr').children.flatMap((child) => child.signatures ?? []);
    const promised = signatures.filter((signature) => signature.parameters?.[0]?.name === 'given');
    if (promised.length === 0) app.logger.error('no method of Limitr is made from a mapped type any more');
    for (const signature of promised) {
      const [original] = twin.getChildByName(signature.name)?.signatures ?? [];
      if (original === undefined) app.logger.error(`SyncLimitr has no ${signature.name}`);
      else copy(project, original, signature);
    }
  });
}

function copy(project, original, signature) {
  signature.comment = original.comment?.clone();
  for (const parameter of signature.parameters) project.removeReflection(parameter);
  signature.parameters = (original.parameters ?? []).map((of) => {
    const parameter = new ParameterReflection(of.name, ReflectionKind.Parameter, signature);
    parameter.type = of.type;
    parameter.defaultValue = of.defaultValue;
    parameter.comment = of.comment?.clone();
    parameter.setFlag(ReflectionFlag.Optional, of.flags.isOptional);
    project.registerReflection(parameter, undefined, undefined);
    return parameter;
  });
}
