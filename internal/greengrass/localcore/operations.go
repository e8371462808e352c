package localcore

import (
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
		namespace + "DeferComponentUpdate":                    deferComponentUpdate,
		namespace + "GetConfiguration":                        getConfiguration,
		namespace + "PublishToIoTCore":                        publishToIoTCore,
		namespace + "PublishToTopic":                          publishToTopic,
		namespace + "PutComponentMetric":                      putComponentMetric,
		namespace + "SendConfigurationValidityReport":         sendConfigurationValidityReport,
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
		namespace + "CreateLocalDeployment":          cliOnly,
		namespace + "RestartComponent":               cliOnly,
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
	"CancelLocalDeployment":         true,
	"CreateDebugPassword":           true,
	"CreateLocalDeployment":         true,
	"DeleteThingShadow":             true,
	"GetClientDeviceAuthToken":      true,
	"GetComponentDetails":           true,
	"GetLocalDeploymentStatus":      true,
	"GetSecretValue":                true,
	"GetThingShadow":                true,
	"ListComponents":                true,
	"ListLocalDeployments":          true,
	"ListNamedShadowsForThing":      true,
	"PauseComponent":                true,
	"RestartComponent":              true,
	"ResumeComponent":               true,
	"StopComponent":                 true,
	"SubscribeToCertificateUpdates": true,
	"UpdateThingShadow":             true,
	"VerifyClientDeviceIdentity":    true,
}

// putComponentMetric takes metrics of AWS's own components only.
func putComponentMetric(r *request) (any, *refusal) {
	if strings.HasPrefix(r.component().name, "aws.") {
		return done{}, nil
	}
	return nil, refuse(greengrass.UnauthorizedError, r.notAuthorized("aws.greengrass.ipc.componentmetric", ""))
}

// validateAuthorizationToken is the stream manager's alone.
func validateAuthorizationToken(r *request) (any, *refusal) {
	if r.core.lite() {
		return nil, refuse(greengrass.UnauthorizedError, "Component does not have access to token verification IPC command.")
	}
	return nil, refuse(greengrass.UnauthorizedError, r.notAuthorized("aws.greengrass.ipc.tokenvalidation", ""))
}

// cliOnly refuses what nucleus lite lets only its command line do.
func cliOnly(*request) (any, *refusal) {
	return nil, refuse(greengrass.UnauthorizedError, liteNotAuthorized)
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
