package localcore

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/device-defender/device-defender/internal/greengrass"
)

// operation serves one request under the core's lock. It returns the response,
// or a refusal, or neither if it will answer later.
type operation func(*request) (response any, refused *refusal)

// done is the response without members.
type done struct{}

// The operations that each nucleus serves, by their name on the wire.
var (
	javaOperations = map[string]operation{
		namespace + "CancelLocalDeployment":                   cliDeployment,
		namespace + "CreateDebugPassword":                     cliOnly,
		namespace + "CreateLocalDeployment":                   cliOnly,
		namespace + "DeferComponentUpdate":                    deferComponentUpdate,
		namespace + "GetComponentDetails":                     cliComponent,
		namespace + "GetConfiguration":                        getConfiguration,
		namespace + "GetLocalDeploymentStatus":                cliDeployment,
		namespace + "ListComponents":                          cliOnly,
		namespace + "ListLocalDeployments":                    cliOnly,
		namespace + "PauseComponent":                          pauseComponent,
		namespace + "PublishToIoTCore":                        publishToIoTCore,
		namespace + "PublishToTopic":                          publishToTopic,
		namespace + "PutComponentMetric":                      putComponentMetric,
		namespace + "RestartComponent":                        cliComponent,
		namespace + "ResumeComponent":                         pauseComponent,
		namespace + "SendConfigurationValidityReport":         sendConfigurationValidityReport,
		namespace + "StopComponent":                           cliComponent,
		namespace + "SubscribeToComponentUpdates":             subscribeToComponentUpdates,
		namespace + "SubscribeToConfigurationUpdate":          subscribeToConfigurationUpdate,
		namespace + "SubscribeToIoTCore":                      subscribeToIoTCore,
		namespace + "SubscribeToTopic":                        subscribeToTopic,
		namespace + "SubscribeToValidateConfigurationUpdates": subscribeToValidateConfigurationUpdates,
		namespace + "UpdateConfiguration":                     updateConfiguration,
		namespace + "UpdateState":                             updateState,
		namespace + "ValidateAuthorizationToken":              validateAuthorizationToken,
	}
	liteOperations = map[string]operation{
		namespace + "GetConfiguration":               getConfiguration,
		namespace + "PublishToIoTCore":               publishToIoTCore,
		namespace + "PublishToTopic":                 publishToTopic,
		namespace + "SubscribeToConfigurationUpdate": subscribeToConfigurationUpdate,
		namespace + "SubscribeToIoTCore":             subscribeToIoTCore,
		namespace + "SubscribeToTopic":               subscribeToTopic,
		namespace + "UpdateConfiguration":            updateConfiguration,
		namespace + "UpdateState":                    updateState,
		namespace + "ValidateAuthorizationToken":     validateAuthorizationToken,
		namespace + "CreateLocalDeployment":          createLocalDeploymentLite,
		namespace + "RestartComponent":               restartComponentLite,
		"aws.greengrass.private#GetSystemConfig":     getSystemConfig,
	}
)

func (c *Core) operations() map[string]operation {
	if c.opts.Nucleus == greengrass.Lite {
		return liteOperations
	}
	return javaOperations
}

// modelled are the other operations of the service model: the Java nucleus
// knows their names, but what serves them is a component that is not here.
var modelled = map[string]bool{
	"AuthorizeClientDeviceAction":   true,
	"DeleteThingShadow":             true,
	"GetClientDeviceAuthToken":      true,
	"GetSecretValue":                true,
	"GetThingShadow":                true,
	"ListNamedShadowsForThing":      true,
	"SubscribeToCertificateUpdates": true,
	"UpdateThingShadow":             true,
	"VerifyClientDeviceIdentity":    true,
}

// putComponentMetric takes metrics of AWS's own components only
// (ComponentMetricIPCEventStreamAgent.java).
func putComponentMetric(r *request) (any, *refusal) {
	if k := r.component(); !strings.HasPrefix(k.name, "aws.") {
		return nil, refuse(greengrass.UnauthorizedError,
			fmt.Sprintf("Principal %s is not authorized to perform aws.greengrass.ipc.componentmetric:%s ", k.name, r.operation))
	}
	return done{}, nil
}

// validateAuthorizationToken is for the stream manager only
// (AuthorizationIPCAgent.java; token_validator.c).
func validateAuthorizationToken(r *request) (any, *refusal) {
	if r.core.lite() {
		return nil, refuse(greengrass.UnauthorizedError, "Component does not have access to token verification IPC command.")
	}
	return nil, refuse(greengrass.UnauthorizedError, r.component().name+" is not authorized to perform "+r.operation)
}

// What the CLI component of the Java nucleus lets only its command line do (run
// of 2.18): some operations look at their argument first.
const cli = "aws.greengrass.Cli"

func cliOnly(r *request) (any, *refusal) { return nil, r.unauthorized(cli, "*") }

func cliComponent(r *request) (any, *refusal) {
	name := r.text("componentName")
	switch {
	case r.malformed():
		return nil, internalServerError
	case name == "":
		return nil, refuse(greengrass.InvalidArgumentsError, "Component name cannot be empty")
	}
	return nil, r.unauthorized(cli, name)
}

var deploymentID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func cliDeployment(r *request) (any, *refusal) {
	id := r.text("deploymentId")
	switch {
	case r.malformed():
		return nil, internalServerError
	case !deploymentID.MatchString(id):
		return nil, refuse(greengrass.InvalidArgumentsError, "Invalid deploymentId format received. DeploymentId is a UUID")
	}
	return nil, r.unauthorized(cli, id)
}

// Nucleus lite has two of these operations, and refuses each in its own way (run
// of 2.6.0).
func createLocalDeploymentLite(*request) (any, *refusal) {
	return nil, refuse(greengrass.ServiceError, liteNotAuthorized)
}

func restartComponentLite(*request) (any, *refusal) {
	return nil, refuse(greengrass.UnauthorizedError, "Component not authorized to restart component.")
}

// getSystemConfig is nucleus lite's own.
func getSystemConfig(r *request) (any, *refusal) {
	system := map[string]string{"thingName": r.core.opts.ThingName, "rootPath": r.core.opts.Root}
	value, ok := system[r.text("key")]
	if !ok {
		return nil, refuse(greengrass.ServiceError, "")
	}
	return map[string]string{"value": value}, nil
}
