package service

// endpointTypes are those of DescribeEndpoint. All are the service itself.
var endpointTypes = []string{"iot:Data", "iot:Data-ATS", "iot:CredentialProvider", "iot:Jobs"}

// describeEndpoint answers the host and port that the caller knows the service
// by: reports are posted there, see Handler. It speaks HTTP, not MQTT.
func describeEndpoint(_ *Service, r *request) (any, error) {
	if _, err := r.queryOneOf("endpointType", endpointTypes...); err != nil {
		return nil, err
	}
	return struct {
		Address string `json:"endpointAddress"`
	}{r.http.Host}, nil
}
