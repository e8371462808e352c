// Package artifacts holds no code. Its folder has what ships beside the
// binary: security profiles, IAM and IoT policies, sample deployments and the
// container image's Dockerfile. The tests here hold those files to the rules
// of the services that take them.
package artifacts
