package service

import "github.com/device-defender/device-defender/internal/defender/awsrest"

// endpointTypes are those of DescribeEndpoint. All are the service itself.
var endpointTypes = []string{"iot:Data", "iot:Data-ATS", "iot:CredentialProvider", "iot:Jobs"}

// describeEndpoint answers the host and port that the caller knows the service
// by: reports are posted there, see Handler. It speaks HTTP, not MQTT.
func (*Service) describeEndpoint(r *awsrest.Request) (any, error) {
	if _, err := r.QueryOneOf("endpointType", endpointTypes...); err != nil {
		return nil, err
	}
	return struct {
		Address string `json:"endpointAddress"`
	}{r.HTTP.Host}, nil
}
