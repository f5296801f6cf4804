package hotline

import "slices"

// Role is a group of rights (角色). A person may hold several.
type Role string

// The roles of this program.
const (
	RoleAgent      Role = "agent"      // 话务员
	RoleDispatcher Role = "dispatcher" // 派单员
	RoleCallback   Role = "callback"   // 回访员
	RoleUnit       Role = "unit"       // 承办单位联络员
	RoleLeader     Role = "leader"     // 领导: reads figures and documents
	RoleAdmin      Role = "admin"      // 管理员
)

// Principal is the person behind a request: who, in which unit, with which
// rights. The zero value is nobody; System is the program itself.
type Principal struct {
	ID        AccountID `json:"id,string"`
	Login     string    `json:"login"`
	Name      string    `json:"name"`
	Unit      UnitCode  `json:"unit_code"`
	Roles     []Role    `json:"roles"`
	Extension string    `json:"extension,omitempty"` // the agent's phone; "" for others
}

// System is the actor of acts no person did.
var System = Principal{Name: "系统"}

// Has tells whether the person holds one of the roles.
func (p Principal) Has(roles ...Role) bool {
	return slices.ContainsFunc(roles, func(r Role) bool { return slices.Contains(p.Roles, r) })
}

// Center tells whether the person works at the hotline office and so sees
// orders of every unit.
func (p Principal) Center() bool {
	return p.Has(RoleAgent, RoleDispatcher, RoleCallback, RoleLeader, RoleAdmin)
}
