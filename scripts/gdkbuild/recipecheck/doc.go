// Package recipecheck finds what is wrong with a component recipe before a
// cloud or a device does. The GDK validates nothing at build, and at publish
// only a schema that does not see case; the Java nucleus forgives much that
// nucleus lite does not.
//
// [Check] looks at the recipe as it is to be published, [CheckArtifacts] at the
// folder that the GDK is going to upload. All faults are told at once, each
// with its line. The rules are those of the component's own recipes, narrower
// than what Greengrass takes: no privilege, no dependency, no configuration in
// a script.
package recipecheck
