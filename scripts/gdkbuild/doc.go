// Command gdkbuild builds a Greengrass component project as "gdk component
// build" calls it: it runs in the folder of a gdk-config.json and builds, for
// every architecture, the artifacts that the recipe beside it names.
//
//	go run ./scripts/gdkbuild
//
// It leaves in greengrass-build/
//
//	recipes/recipe.yaml           the recipe with name and version filled in
//	artifacts/NAME/VERSION/       the artifacts, nothing else: the GDK uploads all of it
//	SHA256SUMS                    their sums
//
// Two builds of one commit give the same bytes. What the GDK would let through
// and the cloud or a device would refuse fails here: see package recipecheck.
package main
