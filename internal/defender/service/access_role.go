package service

import (
	"fmt"
	"slices"
	"strings"

	"github.com/device-defender/device-defender/internal/defender/awsrest"
)

// roles are what the holder of an access key may do, by the access levels of
// operations.
var roles = []struct {
	name string
	may  []awsrest.Access
}{
	{"viewer", []awsrest.Access{awsrest.Public, awsrest.Read}},
	{"operator", []awsrest.Access{awsrest.Public, awsrest.Read, awsrest.Write}},
	{roleAdmin, []awsrest.Access{awsrest.Public, awsrest.Read, awsrest.Write, awsrest.Report, awsrest.Admin}},
	{"ingest", []awsrest.Access{awsrest.Public, awsrest.Report}},
}

// roleAdmin is the role that there is always a key of.
const roleAdmin = "admin"

// Roles are the names of the roles that access keys have.
func Roles() []string {
	var names []string
	for _, role := range roles {
		names = append(names, role.name)
	}
	return names
}

func checkRole(name string) error {
	if !slices.Contains(Roles(), name) {
		return awsrest.Constraint("role", name, "Member must satisfy enum value set: ["+strings.Join(Roles(), ", ")+"]")
	}
	return nil
}

// roleMay reports whether a role may call operations of the level. An unknown one
// may nothing.
func roleMay(name string, level awsrest.Access) bool {
	for _, role := range roles {
		if role.name == name {
			return slices.Contains(role.may, level)
		}
	}
	return false
}

// denied is the error of a caller whose role doesn't have the operation.
func (s *Service) denied(name, role string, op *awsrest.Operation) error {
	return &awsrest.Error{Type: "AccessDeniedException", Status: 403, Message: fmt.Sprintf(
		"User: %s is not authorized to perform: iot:%s because its access key has the role %s", s.userARN(name), op.Name, role)}
}
